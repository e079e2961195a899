"""The pipelines of this project, by name."""

from collections.abc import Iterable

from kedro.pipeline import Pipeline

from implicit_bias.pipelines import data_generation, own_data, reparametrization, report, sweep
from implicit_bias.pipelines.studies import claims as verification
from implicit_bias.pipelines.studies import descent as descent_study

SPECTRA = {"glucose": "glucose", "window": "glucose", "analytes": "fermentation"}
"""Namespaces on real data, and the spectra each is about; their parameters are in conf/spectra."""

SWEEPS = ("width_sweep", "imbalance_sweep")


def register_pipelines() -> dict[str, Pipeline]:
    """The main job, each sweep alone from nothing, each stage for both sweeps, each study, and the claims."""
    stages = {
        "data_generation": data_generation.create_pipeline(),
        "reparametrization": reparametrization.create_pipeline(),
        **{
            stage: sum((sweep.create_pipeline(name, (stage,)) for name in SWEEPS), Pipeline([]))
            for stage in sweep.STAGES
        },
    }
    main_page = report.create_pipeline(_sections(SWEEPS))
    stages["reporting"] += main_page
    problems = stages["data_generation"] + stages["reparametrization"]
    sweeps = {name: problems + sweep.create_pipeline(name) for name in SWEEPS}
    both = sum(sweeps.values(), Pipeline([]))
    main = both + main_page
    studies = {name: both + _study(name) for name in sweep.STUDIES}
    alone = {name: each + report.create_pipeline(_sections([name]), name) for name, each in sweeps.items()}
    alone["verification"] = verification.create_pipeline()
    alone["descent_study"] = problems + descent_study.create_pipeline()
    alone["spectra"] = _spectra()
    return {"__default__": main, "implicit_bias": main} | alone | stages | studies


def _sections(sweeps: Iterable[str], study: str = "") -> list[str]:
    return [f"{name}.{study}section" for name in sweeps]


def _study(name: str) -> Pipeline:
    """A study of both sweeps, and the page of sweeps and study."""
    stages = sum((sweep.create_pipeline(each, (name,)) for each in SWEEPS), Pipeline([]))
    return stages + report.create_pipeline([*_sections(SWEEPS), *_sections(SWEEPS, f"{name}_")], name)


def _spectra() -> Pipeline:
    """Real data: the pipeline for own data, once for each problem."""
    each = (
        own_data.create_pipeline(f"{name}_spectra", f"{name}_hplc", namespace=namespace)
        for namespace, name in SPECTRA.items()
    )
    return sum(each, Pipeline([]))
