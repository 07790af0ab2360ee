"""When to look at the seeds, and at which level, so that the error over all looks stays below 5 %.

Both recipes have as many seeds at each look. A first look at one seed each would show no noise; at two, the estimate is
wrong more often than its level says. With these levels, equal recipes are told apart in less than 5 % of simulated
reviews in the worst case, and real differences are found nearly as often as by a single look at 10 seeds, with fewer
seeds: "Adding seeds until it is decided" in bench/verdict/rates.md compares this plan with others.
"""

# Number of seeds of each recipe, and the p-value below which the difference counts as shown at that look.
PLAN: tuple[tuple[int, float], ...] = ((3, 0.005), (5, 0.01), (10, 0.035))
