"""The outcomes of trials as a table, and as a page in Markdown."""

from collections import Counter

from tests.chaos.trial import FAILED, REFUSED, SURVIVED, Trial

HEAD = """# Faults

Written by `make chaos`; do not edit. Each fault disturbs a run of a small sweep, or what it has left. Then the same
command is given again, and what there is must be what an undisturbed run leaves: every point once, whole and FINISHED,
files equal to the last bit, figures and report, nothing RUNNING, no process left, nothing outside the project. A
refusal counts if it says what to do, and the trial comes to the same end by doing it. What the families are:
[Reliability](reliability.md#faults-by-the-hundred).

**{count} faults, seed {seed}: {failed} failed.** {minutes:.0f} minutes elapsed, {cpu:.0f} minutes of CPU time.

"""


def table(done: list[Trial]) -> str:
    """Families and how their faults ended."""
    rows = ["| family | faults | survived | refused, with the way out | failed |", "|---|---|---|---|---|"]
    for family in [*sorted({each.family for each in done}), ""]:
        mine = [each for each in done if not family or each.family == family]
        count = Counter(each.outcome for each in mine)
        name = family or "**all**"
        rows.append(f"| {name} | {len(mine)} | {count[SURVIVED]} | {count[REFUSED]} | {count[FAILED]} |")
    return "\n".join(rows)


def page(done: list[Trial], seed: int, elapsed: float, cpu: float) -> str:
    """The page that `make chaos` keeps."""
    failed = [each for each in done if each.outcome == FAILED]
    head = HEAD.format(count=len(done), seed=seed, failed=len(failed) or "none", minutes=elapsed / 60, cpu=cpu / 60)
    rows = "".join(f"- {each.family}, {each.name}: {each.why}\n" for each in failed)
    return head + table(done) + "\n" + (f"\nFailed:\n\n{rows}" if failed else "")
