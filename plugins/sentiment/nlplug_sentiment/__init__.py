"""Sentiment analysis for nlplug: is a text positive or negative?"""
