"""The pipelines of this project, by name."""

from collections.abc import Iterable

from kedro.pipeline import Pipeline

from implicit_bias.pipelines import (
    data_generation,
    descent_study,
    own_data,
    reparametrization,
    report,
    sweep,
    verification,
)

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
    stages["reporting"] += report.create_pipeline(_sections(SWEEPS))
    problems = stages["data_generation"] + stages["reparametrization"]
    sweeps = {name: problems + sweep.create_pipeline(name) for name in SWEEPS}
    main = sum(sweeps.values(), Pipeline([])) + report.create_pipeline(_sections(SWEEPS))
    studies = {
        study: main + sum((sweep.create_pipeline(name, (study,)) for name in SWEEPS), Pipeline([]))
        for study in sweep.STUDIES
    }
    alone = {name: each + report.create_pipeline(_sections([name])) for name, each in sweeps.items()}
    alone["verification"] = verification.create_pipeline()
    alone["descent_study"] = problems + descent_study.create_pipeline()
    alone["spectra"] = _spectra()
    return {"__default__": main, "implicit_bias": main} | alone | stages | studies


def _sections(sweeps: Iterable[str]) -> list[str]:
    return [f"{name}.section" for name in sweeps]


def _spectra() -> Pipeline:
    """Real data: the pipeline for own data, once for each problem."""
    each = (
        own_data.create_pipeline(f"{name}_spectra", f"{name}_hplc", namespace=namespace)
        for namespace, name in SPECTRA.items()
    )
    return sum(each, Pipeline([]))
