"""Enrollment of whole schools: recordings in, students and refusals out, one after another."""
