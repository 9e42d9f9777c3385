#include "data/steps.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/hash.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

constexpr double day_seconds = 86400;

/// Days since 1970-01-01 of a day of the Gregorian calendar. Years begin in March here, so that the leap day is the
/// last; 400 of them always have 146,097 days.
std::int64_t days_from(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct Civil {
  std::int64_t year, month, day;
};

Civil civil_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
  const std::int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * years + years / 4 - years / 100), shifted = (5 * of_year + 2) / 153;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {years + era * 400 + (month <= 2 ? 1 : 0), month, of_year - (153 * shifted + 2) / 5 + 1};
}

/// Takes `digits` digits and the character after them ('\0': none) off the front.
bool take(std::string_view& text, std::size_t digits, char after, std::int64_t& value) {
  if (text.size() < digits + (after == '\0' ? 0 : 1)) return false;
  if (after != '\0' && text[digits] != after) return false;
  if (text.substr(0, digits).find_first_not_of("0123456789") != std::string_view::npos) return false;
  std::from_chars(text.data(), text.data() + digits, value);
  text.remove_prefix(digits + (after == '\0' ? 0 : 1));
  return true;
}

std::optional<double> parse_time(std::string_view text) {
  std::int64_t hours = 0, minutes = 0;
  double seconds = 0;
  if (!text.empty() && text.back() == 'Z') text.remove_suffix(1);
  if (!take(text, 2, ':', hours) || !take(text, 2, '\0', minutes) || hours > 23 || minutes > 59) return std::nullopt;
  if (!text.empty()) {
    const Number number =
        text.size() < 3 || text[0] != ':' || text[1] < '0' || text[1] > '9' ? Number{} : read_number(text.substr(1));
    if (number.kind != Number::finite || number.value >= 60) return std::nullopt;
    seconds = number.value;
  }
  return static_cast<double>(hours * 3600 + minutes * 60) + seconds;
}

std::optional<Date> from_seconds(std::string_view text) {
  const Number number = read_number(text);
  if (number.kind != Number::finite || std::abs(number.value) > 1e14) return std::nullopt;
  const double days = std::floor(number.value / day_seconds);
  return Date{static_cast<std::int64_t>(days), number.value - days * day_seconds};
}

}  // namespace

double NumberSteps::apply(double number) const {
  if (low) number = std::max(number, *low);
  if (high) number = std::min(number, *high);
  const bool none = (log == job::Logarithm::log && number <= 0) || (log == job::Logarithm::log1p && number <= -1);
  if (none) return std::numeric_limits<double>::quiet_NaN();
  if (log == job::Logarithm::log) number = std::log(number);
  if (log == job::Logarithm::log1p) number = std::log1p(number);
  return number * scale;
}

std::optional<Date> parse_date(std::string_view text) {
  const std::string_view whole = text;
  std::int64_t year = 0, month = 0, day = 0;
  if (!take(text, 4, '-', year) || !take(text, 2, '-', month) || !take(text, 2, '\0', day)) return from_seconds(whole);
  const std::int64_t days = days_from(year, month, day);
  const Civil back = civil_of(days);
  if (month < 1 || month > 12 || back.month != month || back.day != day) return std::nullopt;
  if (text.empty()) return Date{days, 0};
  if (text[0] != 'T' && text[0] != ' ') return std::nullopt;
  const auto seconds = parse_time(text.substr(1));
  return seconds ? std::optional(Date{days, *seconds}) : std::nullopt;
}

double part_of(const Date& date, job::DatePart part) {
  const Civil civil = civil_of(date.days);
  switch (part) {
    case job::DatePart::year: return static_cast<double>(civil.year);
    case job::DatePart::month: return static_cast<double>(civil.month);
    case job::DatePart::day: return static_cast<double>(civil.day);
    case job::DatePart::weekday: return static_cast<double>(((date.days + 3) % 7 + 7) % 7);
    case job::DatePart::hour: return std::floor(date.seconds / 3600);
    case job::DatePart::minute: return std::floor(std::fmod(date.seconds, 3600) / 60);
    case job::DatePart::day_of_year: return static_cast<double>(date.days - days_from(civil.year, 1, 1) + 1);
    case job::DatePart::days: return static_cast<double>(date.days) + date.seconds / day_seconds;
  }
  return 0;
}

Index bucket_of(std::string_view column, std::string_view value, Index buckets) {
  std::string key(column);
  key.append("=").append(value);
  return static_cast<Index>(fast_hash(std::as_bytes(std::span(key))) % static_cast<std::uint64_t>(buckets));
}

}  // namespace dtrain::data
