"""The main job: plan, render, report."""
