"""Cost ratios, side by side in one run: `make bench`, or `python -m tests.benchmarks --section gd_step,flow --quick`.

Every section runs in a process of its own. All but `parallel` and `job` are held to one core and one BLAS thread, and
measure CPU time: what the clock would show on an idle core. Nothing is asserted about time, only about numbers.
"""

import argparse
import os
import subprocess
import sys

SECTIONS = {
    "gd_step": "tests.benchmarks.points",
    "figure_1": "tests.benchmarks.points",
    "flow": "tests.benchmarks.flows",
    "width": "tests.benchmarks.costs",
    "rank": "tests.benchmarks.costs",
    "conditioning": "tests.benchmarks.costs",
    "depth": "tests.benchmarks.depth",
    "memory": "tests.benchmarks.costs",
    "estimates": "tests.benchmarks.estimates",
    "activations": "tests.benchmarks.activations",
    "parallel": "tests.benchmarks.parallel",
    "job": "tests.benchmarks.job",
}
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_ENABLE_X64": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--section", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, shorter lists, no full run")
    options = parser.parse_args()
    names = options.section.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"unknown section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    from tests.benchmarks.harness import machine, peers

    print(f"{machine()}\n{peers()}", flush=True)
    failed = []
    for name in names:
        code = f"from {SECTIONS[name]} import {name} as section; section(quick={options.quick})"
        env = os.environ | (ONE_THREAD if name not in ("job", "parallel") else {})
        print(f"\n## {name}\n", flush=True)
        if subprocess.run([sys.executable, "-c", code], env=env).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
