/// Rules on `data.columns`.

#include <algorithm>
#include <map>

#include "job/check.hpp"
#include "job/findings.hpp"

namespace dtrain::job {
namespace {

/// One entry of the list, and the paths of its keys.
struct Ruled {
  const ColumnRule& rule;
  std::size_t index;
  std::string path(const char* key) const { return fmt::format("data.columns[{}].{}", index, key); }
};

void idle_all(Rules& rules, const Ruled& entry, std::initializer_list<const char*> keys, const std::string& why) {
  for (const char* key : keys) rules.idle(entry.path(key), why);
}

/// Keys that speak of another kind of column.
void check_kind(Rules& rules, const Ruled& entry) {
  const ColumnAs as = entry.rule.as;
  if (as == ColumnAs::ignore) {
    idle_all(rules, entry, {"buckets", "parts", "missing", "value", "clip_low", "clip_high", "log", "scale", "fit"},
             "the column is left out");
    return;
  }
  if (as != ColumnAs::hash) rules.idle(entry.path("buckets"), "only columns as hash have buckets");
  if (as != ColumnAs::date) rules.idle(entry.path("parts"), "only columns as date have parts");
  if (as == ColumnAs::category || as == ColumnAs::hash)
    idle_all(rules, entry, {"clip_low", "clip_high", "log", "scale", "fit"}, "categories are no numbers");
}

void check_missing(Rules& rules, const Ruled& entry) {
  const ColumnAs as = entry.rule.as;
  const std::string missing = entry.path("missing"), kind = entry.path("as");
  if (entry.rule.missing != Missing::constant)
    rules.idle(entry.path("value"), "only missing: constant has a value to put in");
  if (!entry.rule.missing || as == ColumnAs::ignore || !rules.sound({missing, kind})) return;
  const bool category = as == ColumnAs::category || as == ColumnAs::hash;
  const bool category_too = *entry.rule.missing == Missing::error || *entry.rule.missing == Missing::category;
  if (category && !category_too)
    rules.error({missing, kind},
                "{} must be error or category where values are categories: they have no mean, "
                "no order and no zero",
                missing);
  if ((as == ColumnAs::number || as == ColumnAs::date) && *entry.rule.missing == Missing::category)
    rules.error({missing, kind}, "{} category needs a column as category or hash: a number has no levels", missing);
}

void check_numbers(Rules& rules, const Ruled& entry) {
  const ColumnRule& rule = entry.rule;
  const std::string low = entry.path("clip_low"), high = entry.path("clip_high"), log = entry.path("log");
  if (rule.low && rule.high && *rule.low > *rule.high)
    rules.error({low, high}, "{} must be at most clip_high, {}, got {}", low, *rule.high, *rule.low);
  const double pole = rule.log == Logarithm::log ? 0 : -1;
  if (rule.log != Logarithm::none && rule.high && *rule.high <= pole)
    rules.error({high, log}, "{} must be above {}: what is clipped to {} has no logarithm", high, pole, *rule.high);
  if (rule.log != Logarithm::none && rule.low && *rule.low <= pole)
    rules.error({low, log}, "{} must be above {}: what is clipped to {} has no logarithm", low, pole, *rule.low);
  if (rule.scale == 0) rules.error({entry.path("scale")}, "{} may not be 0: all would be 0", entry.path("scale"));
}

/// Where each column is named, by its name: a column has one rule at most.
using Named = std::map<std::string, std::string>;

void check_names(Rules& rules, const Ruled& entry, Named& named) {
  const std::string names = entry.path("names");
  if (!rules.sound({names})) return;
  if (entry.rule.names.empty()) rules.error({names}, "{} must name at least one column", names);
  for (std::size_t k = 0; k < entry.rule.names.size(); ++k) {
    const std::string path = fmt::format("{}[{}]", names, k);
    const auto [at, first] = named.emplace(entry.rule.names[k], path);
    if (!first)
      rules.error({path, names}, "column {} has a rule already: {}; give it one entry", in_quotes(at->first),
                  at->second);
  }
}

/// The older lists of data.csv, which say the same of columns that have no rule.
void check_list(Rules& rules, const char* list, const std::vector<std::string>& columns, const Named& named) {
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (const auto at = named.find(columns[i]); at != named.end())
      rules.error({fmt::format("{}[{}]", list, i)}, "column {} has a rule already: {}; say there what it is",
                  in_quotes(columns[i]), at->second);
}

}  // namespace

void check_columns(Rules& rules) {
  const Data& data = rules.job.data;
  if (data.columns.empty()) return;
  if (data.format != Format::csv && data.format != Format::tsv && data.format != Format::mapped)
    rules.error({"data.columns"}, "data.columns needs columns with names: data.format csv, tsv or mapped");
  Named named;
  for (std::size_t i = 0; i < data.columns.size(); ++i) {
    const Ruled entry{data.columns[i], i};
    check_names(rules, entry, named);
    check_kind(rules, entry);
    check_missing(rules, entry);
    check_numbers(rules, entry);
  }
  check_list(rules, "data.csv.ignore", data.csv.ignore, named);
  check_list(rules, "data.csv.categorical", data.csv.categorical, named);
}

}  // namespace dtrain::job
