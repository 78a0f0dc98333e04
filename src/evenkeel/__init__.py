"""evenkeel: does rewarding beneficial behaviour make a model broadly beneficial, and does it stay so?

The package is a house with one-way data flow: cli, study, report, persistence, benchmarks, training,
grading, scenarios, engines, records. A folder imports only from those after it.
"""

__version__ = "0.1.0"
