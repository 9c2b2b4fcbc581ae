"""Which endpoints may serve a request, in which order, and why not the others. Pure."""

from fairlead.core.routing.plan import HealthView, Plan, Removal, fitted, plan

__all__ = ["HealthView", "Plan", "Removal", "fitted", "plan"]
