"""Orchestration: the study file, its plan, the stages that carry it out, and what a user sees of them."""

__version__ = "0.1.0"
