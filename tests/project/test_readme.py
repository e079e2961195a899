"""What the README shows runs as it stands."""

import re
import subprocess
import sys

from tests.support.project import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_library_example_prints_one_distance_in_its_band():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert len([line for line in example.splitlines() if line]) == 8
    measured, percent, lower, upper = map(float, re.findall(r"[\d.]+", result.stdout))
    assert percent == 95
    assert lower < measured < upper < 1.5 * lower


def test_library_needs_neither_kedro_nor_mlflow_nor_matplotlib():
    code = (
        "import sys, implicit_bias.theory\n"
        "assert not {'kedro', 'mlflow', 'matplotlib', 'pandas', 'pydantic', 'joblib'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_make_targets_and_paths_named_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in set(re.findall(r"\]\(((?!http|#)[^)]+)\)", README)):
        assert (REPOSITORY / path).exists(), path
    for env in set(re.findall(r"--env=(\w+)", README)):
        assert (REPOSITORY / "conf" / env).is_dir(), env
