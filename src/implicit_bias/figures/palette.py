"""The colours of all figures, told apart by the colour-blind (Okabe and Ito 2008)."""

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY, LIGHT = "#CC79A7", "#56B4E9", "#000000", "#666666", "#DDDDDD"
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
