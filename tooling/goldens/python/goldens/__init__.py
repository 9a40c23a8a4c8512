"""Runs engines that are not ropewalk and writes what they answer as JSON fixtures."""
