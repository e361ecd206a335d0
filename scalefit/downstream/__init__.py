"""From the loss to what is wanted of a model: accuracy on a task, pass@k, accuracy against test-time compute."""

from scalefit.downstream.accuracy import Downstream, fit_downstream
from scalefit.downstream.compute_curve import ComputeCurve, fit_accuracy_of_compute
from scalefit.downstream.emergence import Emergence, emergence
from scalefit.downstream.links import ExponentialError, Sigmoid
from scalefit.downstream.pass_at_k import PassAtK, fit_pass_at_k, observed_pass_at_k

__all__ = [
    "ComputeCurve",
    "Downstream",
    "Emergence",
    "ExponentialError",
    "PassAtK",
    "Sigmoid",
    "emergence",
    "fit_accuracy_of_compute",
    "fit_downstream",
    "fit_pass_at_k",
    "observed_pass_at_k",
]
