"""Low-dose bone micro-CT as composable Unix tools."""

__version__ = "0.1.0"
