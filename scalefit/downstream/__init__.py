"""From the loss on a task to accuracy on it: the second stage of a two-stage prediction."""

from scalefit.downstream._fit import Downstream, fit_downstream
from scalefit.downstream.emergence import Emergence, emergence
from scalefit.downstream.forms import ExponentialError, Sigmoid

__all__ = ["Downstream", "Emergence", "ExponentialError", "Sigmoid", "emergence", "fit_downstream"]
