"""From a usage to a charge: which rate, which list of prices, which running total. Read pricing, then rating."""
