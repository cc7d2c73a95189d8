"""The operator: makes Kubernetes objects of TrainingJobs and InferenceServices and tells how they fare.

`kopf run -m vaka_operator.main` starts it; importing the package does nothing.
"""
