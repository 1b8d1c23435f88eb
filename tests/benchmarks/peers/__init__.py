"""The services beside which ours is measured: what a person would write in an afternoon, and the least one can do."""
