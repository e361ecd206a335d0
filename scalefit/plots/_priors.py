"""What the runs say: the posterior of each parameter beside its prior."""

import numpy as np

from scalefit.fits.fit import Fit, check_fit
from scalefit.laws import Prior
from scalefit.plots._axes import DATA, MAIN, heading, legend_below, new_axes

COLUMNS = 4
ENDS = (0.02, 0.98)  # of the prior that is shown


def priors(fit: Fit) -> np.ndarray:
    """Prior and law-only posterior of each parameter of law and noise, in the units of the table's geometric means.

    The narrower the posterior beside its prior, the more the runs say.

    Parameters
    ----------
    fit
        Any fit.

    Returns
    -------
    array of matplotlib.axes.Axes
        One a parameter.
    """
    check_fit(fit)
    params = [(p.name, p.prior) for p in fit.model.params() if isinstance(p.prior, Prior)]  # not those tied to others
    theta = fit.bound.to_unit(fit.theta)
    rows = -(-len(params) // COLUMNS)
    axes = np.ravel(new_axes(rows, COLUMNS, (11.0, 2.4 * rows + 0.8)))
    ratios = {}
    for ax, (name, prior) in zip(axes, params, strict=False):
        draws, quartiles = np.asarray(theta[name], dtype=float), prior.quantile(np.array([0.25, 0.75]))
        ends = np.concatenate([prior.quantile(np.array(ENDS)), np.quantile(draws, [0.001, 0.999])])
        wide = np.linspace(ends.min(), ends.max(), 400)
        density = np.exp(np.asarray(prior.distribution().log_prob(wide)))
        ax.fill_between(wide, density / np.nanmax(density), color=DATA, alpha=0.25, lw=0, label="prior")
        counts, edges = np.histogram(draws, 30)
        ax.stairs(counts / counts.max(), edges, fill=True, color=MAIN, alpha=0.75, label="posterior, law only")
        ratios[name] = float(np.ptp(np.quantile(draws, [0.25, 0.75])) / np.ptp(quartiles))
        ax.set(xlim=(wide[0], wide[-1]), ylim=(0, 1.08), yticks=[])
        ax.set_title(f"{name}: {100 * ratios[name]:.2g}%", fontsize=10)
        ax.grid(False)
    for ax in axes[len(params) :]:
        ax.set_visible(False)
    widest = max(ratios, key=ratios.__getitem__)
    words = f"its posterior is {100 * ratios[widest]:.2g}% as wide as its prior"
    heading(axes, f"The runs say least about {widest}: {words}")
    legend_below(axes)
    return axes
