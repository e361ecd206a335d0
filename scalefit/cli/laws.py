"""`scalefit laws`: the scaling laws, with parameters, priors and published constants."""

from typing import Any

from scalefit.cli._app import app
from scalefit.cli._options import Json
from scalefit.cli._show import console, print_grid, print_json


@app.command()
def laws(as_json: Json = False) -> None:
    """The laws, their priors and published constants."""
    from scalefit.laws import Law, find_law

    documents = [_law_document(find_law(name)) for name in sorted(Law.registry)]
    if as_json:
        print_json(documents)
        return
    out = console()
    for law in documents:
        out.print(f"{law['name']}: {law['equation']}   inputs {', '.join(law['inputs'])}")
        rows = [[p["name"], p["prior"], p["unit"], p["meaning"]] for p in law["params"]]
        print_grid(out, ["parameter", "prior", "raw unit", "meaning"], rows, left=4)
        out.print("Priors hold where inputs and loss are measured in units of the table's geometric means.")
        for published in law["published"]:
            values = ", ".join(f"{name} {value:g}" for name, value in published["values"].items())
            out.print(f"  {published['source']}: {values}")
        out.print()


def _law_document(law: Any) -> dict[str, Any]:
    return {
        "name": law.name,
        "equation": law.equation,
        "inputs": list(law.inputs),
        "params": [{"name": p.name, "prior": str(p.prior), "unit": p.unit, "meaning": p.meaning} for p in law.params()],
        "published": [{"source": p.source, "values": p.theta} for p in law.reference()],
    }
