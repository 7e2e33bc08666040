"""One file per analysis of a trained model; every module found on the extended path is one, unless it begins with _."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
