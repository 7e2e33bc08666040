"""One module per system; every module found on the extended path is a system."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
