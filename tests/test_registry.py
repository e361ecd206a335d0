"""One look-up by name: exact, or whatever the case and hyphens; an error that helps."""

import subprocess
import sys

import pytest

import scalefit as sf
from scalefit._registry import lookup
from scalefit.costs.machines import find_accelerator
from scalefit.counting import architecture, families, family_shapes, flops_per_token
from scalefit.downstream.links import find_link
from scalefit.infer import find_engine
from scalefit.io.published_models import read_model
from scalefit.laws import find_law
from scalefit.model.noise import find_noise

KNOWN = {"H100-PCIe": 1, "H100": 2, "TPU-v5e": 3}


def test_a_name_finds_its_value():
    assert lookup("H100", KNOWN, "device") == 2


@pytest.mark.parametrize("name", ["h100 pcie", "H100_PCIE", "h-100-pcie"])
def test_case_spaces_hyphens_and_underscores_matter_only_where_asked_for(name):
    assert lookup(name, KNOWN, "device", loose=True) == 1
    with pytest.raises(sf.errors.OptionError, match="did you mean H100-PCIe"):
        lookup(name, KNOWN, "device")


def test_a_typing_error_is_answered_with_close_names_and_another_with_all():
    with pytest.raises(sf.errors.OptionError, match=r"^there is no device 'H10'; did you mean H100\?$"):
        lookup("H10", KNOWN, "device")
    with pytest.raises(sf.errors.OptionError, match=r"; give a peak, or choose from H100-PCIe, H100, TPU-v5e\.$"):
        lookup("nothing", KNOWN, "device", remedy="give a peak")
    with pytest.raises(sf.errors.OptionError, match="no device 5"):
        lookup(5, KNOWN, "device")


GPT2 = architecture("gpt2")
LOOKUPS = {
    "law": (find_law, "chinchila", "did you mean chinchilla"),
    "noise": (find_noise, "student", "did you mean student-t"),
    "engine": (find_engine, "nut", "did you mean nuts"),
    "link": (lambda name: find_link(name, None, None), "sigmoids", "did you mean sigmoid"),
    "accelerator": (find_accelerator, "H1000", "did you mean H100"),
    "published model": (read_model, "llama-3-8", "did you mean Llama-3-8B"),
    "shipped table": (sf.datasets.path, "chinchila", "did you mean chinchilla"),
    "FLOP rule": (lambda name: flops_per_token(GPT2, name), "kaplans", "did you mean kaplan"),
    "family": (family_shapes, "lama-3", "did you mean llama-3"),
    "shape": (architecture, "lama-3-8b", "did you mean llama-3-8b"),
}


@pytest.mark.parametrize(("find", "name", "words"), LOOKUPS.values(), ids=LOOKUPS)
def test_every_look_up_suggests(find, name, words):
    with pytest.raises(sf.errors.OptionError, match=f"(?i){words}"):
        find(name)
    with pytest.raises(sf.errors.OptionError, match="choose from"):
        find("@")


def test_a_law_that_is_no_attribute_is_suggested_too():
    assert sf.laws.Chinchilla is type(find_law("chinchilla"))
    with pytest.raises(AttributeError, match="did you mean Chinchilla"):
        _ = sf.laws.Chinchila


def test_names_of_families_are_found():
    assert [family_shapes(name)[0] for name in families()]


def test_the_module_is_light():
    code = "import scalefit._registry, sys; print([m for m in ('numpy', 'jax', 'difflib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
