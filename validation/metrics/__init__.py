"""Metrics of doses: gamma, dose-volume histograms and their statistics."""
