"""The pages Integration and Simulator."""
