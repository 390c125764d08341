"""A speaking face for meetings and calls: frames in step with speech that goes on."""
