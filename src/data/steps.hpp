#pragma once
/// What becomes of one cell before the model: numbers clipped, taken logarithms of and scaled; dates in parts; values
/// by their hash. Pure.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.hpp"  // Index
#include "job/job.hpp"

namespace dtrain::data {

/// In the order of the fields.
struct NumberSteps {
  std::optional<double> low, high;  ///< clipped to
  job::Logarithm log = job::Logarithm::none;
  double scale = 1;

  bool idle() const { return *this == NumberSteps{}; }
  /// NaN where the number has no logarithm.
  double apply(double number) const;
  bool operator==(const NumberSteps&) const = default;
};

/// A day of the Gregorian calendar, ahead and back without end, and seconds since it began, [0, 86400).
struct Date {
  std::int64_t days = 0;  ///< since 1970-01-01
  double seconds = 0;
};

/// ISO 8601: YYYY-MM-DD, with THH:MM or THH:MM:SS (a blank for the T; fractions of a second; Z for UTC, in which all
/// are taken to be), or seconds since 1970-01-01 as a number. nullopt: none of these, or no such day.
std::optional<Date> parse_date(std::string_view text);

/// weekday: 0 is Monday; day_of_year: from 1; days: with the share of the day.
double part_of(const Date& date, job::DatePart part);

/// One of [0, buckets) for a value of a column: XXH3 of "column=value".
Index bucket_of(std::string_view column, std::string_view value, Index buckets);

}  // namespace dtrain::data
