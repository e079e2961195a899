"""The mutation check itself: its list is long, fresh and to the point, and it tells the killed from the living."""

import pytest

from tests.mutation import MUTANTS, Mutant, copy, killer, page

BENIGN = Mutant("problem.py", ("test_problem.py",), "return self.r + self.m", "return self.m + self.r")


def test_there_are_many_mutants_all_over_the_theory():
    applying = [mutant for mutant in MUTANTS if mutant.applies]
    assert len(applying) >= 50
    assert len({mutant.module for mutant in applying}) >= 10
    assert len({(mutant.module, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.old != mutant.new for mutant in MUTANTS)


def test_the_page_says_who_lives():
    first, second = MUTANTS[:2]
    text = page([(first, "test_problem.py::test_a"), (second, "")])
    assert "**1 of 2 mutants killed.**" in text
    assert "| `test_problem.py::test_a` |" in text
    assert "| **survives** |" in text


@pytest.mark.slow
def test_wrong_formulas_are_killed_and_right_ones_are_not():
    sample = [
        mutant for mutant in MUTANTS if mutant.applies and mutant.module in ("networks/two_layer.py", "kernel.py")
    ][::4]
    assert len(sample) >= 2
    with copy() as folder:
        assert BENIGN.applies
        assert killer(folder, BENIGN) == ""
        for mutant in sample:
            assert killer(folder, mutant), mutant
