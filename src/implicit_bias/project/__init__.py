"""Files that a project needs for this package, as templates: this project reads its catalogue from them, too."""

from importlib.resources import files
from string import Template


def rendered(name: str, words: dict[str, str]) -> str:
    """A template with its words filled in."""
    return Template(files(__name__).joinpath(name).read_text(encoding="utf-8")).substitute(words)


def catalog(folder: str, namespace: str = "", page: str = "", about: str = "") -> str:
    """The catalogue of a problem and its sweeps, as YAML.

    Args:
        folder: where everything is kept.
        namespace: of the datasets; "" for names without one.
        page: folder of the report, which several namespaces may share; by default the layer of reports in `folder`.
        about: what the first line says of the problem.
    """
    prefix = f"{namespace}." if namespace else ""
    page = page or f"{folder}/08_reporting"
    return rendered("catalog.yml", {"prefix": prefix, "folder": folder, "page": page, "about": about})
