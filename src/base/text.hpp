#pragma once
/// Text for people and from people: numbers as their key types them, names that were probably meant, sizes and times.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dtrain {

/// A decimal number or a quotient `a/b` of two; nullopt if any character is left over, or the value is not finite.
/// "010" is ten; "1e-4", "-3", "1/255" are numbers; "0x10", "nan", "" and "1 s" are not.
std::optional<double> parse_number(std::string_view text);

/// A decimal integer (no sign but '-', no point, no exponent); nullopt when it does not fit.
std::optional<std::int64_t> parse_integer(std::string_view text);

/// Splits "10 s" or "10s" into number and unit ("" if there is none); nullopt if there is no leading number.
struct Quantity {
  double value;
  std::string unit;
};
std::optional<Quantity> parse_quantity(std::string_view text);

/// The candidate nearest to `word` by edit distance (transpositions count one), or nullopt when none is near enough
/// to be what a person meant (more than a third of its letters differ, at least one allowed).
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);

/// "2.68 MB" (powers of 1000), "1.2 s", "350 ms", "3 min 20 s", "12,345".
std::string human_bytes(double bytes);
std::string binary_bytes(double bytes);          ///< "310 MiB", rounded up: what a limit would have to be
std::string human_rate(double bits_per_second);  ///< "100 Mbit/s"
std::string human_seconds(double seconds);
std::string with_commas(std::int64_t value);

/// The shortest text that reads back as the same double ("0.05", "1e-08", "3").
std::string shortest(double value);

/// Wraps at `width` columns between words; later lines start with `indent` blanks.
std::string wrap(std::string_view text, int width, int indent);

}  // namespace dtrain
