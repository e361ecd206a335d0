"""What more compute at test time buys: pass@k over problems, and a bounded accuracy-against-compute curve."""

from scalefit.inference_compute._bounded import ComputeCurve, fit_accuracy_of_compute
from scalefit.inference_compute._pass_at_k import PassAtK, fit_pass_at_k, observed_pass_at_k

__all__ = ["ComputeCurve", "PassAtK", "fit_accuracy_of_compute", "fit_pass_at_k", "observed_pass_at_k"]
