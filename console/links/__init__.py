"""Tracking links: built, checked, and tried without anything being recorded; on the command line and in the browser."""
