/// `data.columns`: what is done to single columns.

#include "job/fields.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

void add_kind_keys(Keys& keys) {
  keys.push_back(required_key(text_list_key("data.columns[].names", COLUMN_FIELD(names), "",
                                            "The columns, by name or by number from 1, that this entry is about."),
                              "names: [age]"));
  keys.push_back(choice_key<ColumnAs>("data.columns[].as", COLUMN_FIELD(as),
                                      {{"auto", ColumnAs::automatic},
                                       {"number", ColumnAs::number},
                                       {"category", ColumnAs::category},
                                       {"hash", ColumnAs::hash},
                                       {"date", ColumnAs::date},
                                       {"ignore", ColumnAs::ignore}},
                                      "auto",
                                      "auto: numbers where all cells are, else categories; category: a feature for "
                                      "each value; hash: one of `buckets` features, by the value's hash; date: numbers "
                                      "for its `parts`; ignore: left out."));
  keys.push_back(integer_key("data.columns[].buckets", COLUMN_FIELD(buckets), between(1, 1e8), "1024",
                             "hash: features that the values share."));
  keys.push_back(choice_list_key<DatePart>("data.columns[].parts", COLUMN_FIELD(parts),
                                           {{"year", DatePart::year},
                                            {"month", DatePart::month},
                                            {"day", DatePart::day},
                                            {"weekday", DatePart::weekday},
                                            {"hour", DatePart::hour},
                                            {"minute", DatePart::minute},
                                            {"day_of_year", DatePart::day_of_year},
                                            {"days", DatePart::days}},
                                           "[year, month, weekday]",
                                           "date: the numbers taken from it; weekday 0 is Monday, days counts from "
                                           "1970-01-01 with fractions."));
}

void add_missing_keys(Keys& keys) {
  keys.push_back(choice_key<std::optional<Missing>>("data.columns[].missing", COLUMN_FIELD(missing),
                                                    {{"auto", std::nullopt},
                                                     {"error", Missing::error},
                                                     {"mean", Missing::mean},
                                                     {"median", Missing::median},
                                                     {"zero", Missing::zero},
                                                     {"constant", Missing::constant},
                                                     {"category", Missing::category}},
                                                    "auto",
                                                    "What a missing cell becomes; auto: of a number what "
                                                    "data.csv.missing says, of a category a level of its own."));
  keys.push_back(number_key("data.columns[].value", COLUMN_FIELD(value), {}, "0",
                            "missing constant: what a missing number becomes."));
}

void add_number_keys(Keys& keys) {
  keys.push_back(auto_number_key("data.columns[].clip_low", COLUMN_FIELD(low), {},
                                 "Smaller numbers become this; auto leaves them."));
  keys.push_back(auto_number_key("data.columns[].clip_high", COLUMN_FIELD(high), {},
                                 "Larger numbers become this; auto leaves them."));
  keys.push_back(
      choice_key<Logarithm>("data.columns[].log", COLUMN_FIELD(log),
                            {{"none", Logarithm::none}, {"log", Logarithm::log}, {"log1p", Logarithm::log1p}}, "none",
                            "Natural logarithm of the number, or of the number and 1; taken after clipping."));
  keys.push_back(number_key("data.columns[].scale", COLUMN_FIELD(scale), {}, "1",
                            "Every number is multiplied by it, after the logarithm."));
  keys.push_back(choice_key<std::optional<Fit>>(
      "data.columns[].fit", COLUMN_FIELD(fit),
      {{"auto", std::nullopt}, {"none", Fit::none}, {"standardize", Fit::standardize}, {"min_max", Fit::min_max}},
      "auto",
      "standardize: mean 0 and deviation 1; min_max: from 0 to 1, on the training rows and after all else; auto: as "
      "data.normalize.features says."));
}

}  // namespace

void add_column_keys(Keys& keys) {
  keys.push_back(map_list_key("data.columns", LIST_FIELD(data.columns), false, "[{names: [age], fit: standardize}]",
                              "What is done to columns of a csv file, in the order of these keys; an entry a rule."));
  add_kind_keys(keys);
  add_missing_keys(keys);
  add_number_keys(keys);
}

}  // namespace dtrain::job
