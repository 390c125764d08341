"""Training stages: :mod:`~lipwright.training.stages.registry` has them all, and
:func:`~lipwright.training.stages.run.run_stage` runs them.
"""
