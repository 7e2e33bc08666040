"""Monte Carlo of lattice systems: numpy and numba only.

Systems live in ``simulators.systems``, one module each.  A folder ``simulators/systems`` below any entry of
``PYTHONPATH`` adds its modules to ours.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
