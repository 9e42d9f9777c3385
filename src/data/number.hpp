#pragma once
/// Numbers as data files write them.

#include <string_view>

namespace dtrain::data {

/// What a piece of text is as a number. nonfinite: nan, inf, or beyond what a double holds.
struct Number {
  enum Kind { finite, nonfinite, text } kind = text;
  double value = 0;
};

/// The whole of `text` must be the number: sign ('+' too), digits, point, exponent; no blanks.
Number read_number(std::string_view text);

}  // namespace dtrain::data
