#pragma once
/// Data sets that need no files: every row is a pure function of (seed, parameters, row number). Test rows have the
/// numbers after the training rows. Labels are balanced: every run of as many rows as there are classes has each once.
/// Made with arithmetic only where possible (Philox, sums, products), so that digits do not depend on a math library.

#include <cstdint>

#include "data/data.hpp"
#include "data/table.hpp"

namespace dtrain::data {

inline constexpr Index digit_side = 28;
inline constexpr Index digit_pixels = digit_side * digit_side;

/// Class of row `row` among `classes`.
Index generated_class(std::uint64_t seed, Index row, Index classes);

/// Draws digit `digit` as row `row`: strokes with a random shift, rotation, slant, size, thickness and ink, whose
/// control points and pixels are disturbed in proportion to `noise`. Writes digit_pixels bytes, 255 is full ink.
void draw_digit(std::uint64_t seed, Index row, Index digit, double noise, unsigned char* pixels);

/// How many classes the set has.
Index generated_classes(const job::Generate& generate);

/// `make_rows` false: the table of no rows, with the width and the hash of the whole: what is known beforehand.
Table generated_table(const job::Generate& generate, std::uint64_t seed, Part part, bool make_rows = true);

}  // namespace dtrain::data
