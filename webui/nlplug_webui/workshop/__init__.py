"""The pages of a workspace: corrections, data sets, training, reports and models."""
