from . import datasets as datasets
from . import laws as laws
from . import plots as plots
from .errors import DataError as DataError
from .errors import DataWarning as DataWarning
from .errors import FitError as FitError
from .errors import ModelError as ModelError
from .errors import PlanError as PlanError
from .errors import ScalefitError as ScalefitError
from .fitted import Fit as Fit
from .frontier import Frontier as Frontier
from .health import Health as Health
from .infer import NUTS as NUTS
from .infer import fit as fit
from .laws import Prior as Prior
from .model import Model as Model
from .noise import Normal as Normal
from .noise import StudentT as StudentT
from .planning import Plan as Plan
from .planning import Surface as Surface
from .planning import loss_surface as loss_surface
from .planning import plan as plan
from .read import read_runs as read_runs
from .runs import Runs as Runs
from .store import load as load

__version__: str
