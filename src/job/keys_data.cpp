#include "job/fields.hpp"
#include "job/findings.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

/// `error`, or a map with the number of rows that may be left out.
Key bad_row_key() {
  Key key = map_key("data.on_bad_row",
                    "What a row that cannot be read does: error, or {skip_max: K}: up to K of them are left out.");
  key.shape = Shape::map_or_word;
  key.info.type = "map or word";
  key.info.choices = {"error"};
  key.info.default_text = "error";
  key.set = [](Job& job, std::size_t, const Node& node, const Complain& complain) {
    if (node.kind != Node::Kind::text || node.text != "error")
      return complain(node, "must be error or {skip_max: K}, got " +
                                (node.kind == Node::Kind::text ? in_quotes(node.text) : describe(node.kind)));
    job.data.skip_bad_rows = 0;
  };
  return key;
}

Key map_or_path(std::string path, std::string help) {
  Key key = map_key(std::move(path), std::move(help));
  key.shape = Shape::map_or_path;
  key.info.type = "map or path";
  return key;
}

/// One character, told as "tab" or "space" where it cannot be seen.
Key delimiter_key() {
  const auto field = JOB_FIELD(data.csv.delimiter);
  Key key = text_key("data.csv.delimiter", field, ",",
                     "What stands between two fields: one character, tab, or space for runs of blanks.");
  key.info.range = "one character, tab or space";
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const std::string* text = text_of(node, "one character, tab or space", complain);
    if (!text) return;
    const std::string name = *text == "\t" ? "tab" : *text == " " ? "space" : *text;
    const bool visible = name.size() == 1 && name[0] > ' ' && name[0] < 0x7f && name != "\"";
    if (!visible && name != "tab" && name != "space")
      return complain(node, "must be one character, tab or space, got " + in_quotes(*text));
    field(job, entry) = name;
  };
  return key;
}

void add_file_keys(Keys& keys) {
  keys.push_back(choice_key<Format>("data.format", JOB_FIELD(data.format),
                                    {{"idx", Format::idx},
                                     {"npy", Format::npy},
                                     {"csv", Format::csv},
                                     {"tsv", Format::tsv},
                                     {"libsvm", Format::libsvm},
                                     {"mapped", Format::mapped},
                                     {"generated", Format::generated}},
                                    "generated",
                                    "What the files hold; mapped is what `dtrain data convert` writes; generated data "
                                    "are drawn from the seed and need "
                                    "no file."));
  keys.push_back(path_key("data.dir", JOB_FIELD(data.dir), ".",
                          "Folder where relative data files start; itself relative to the job file."));
  keys.push_back(map_or_path("data.train", "The training rows; a plain path is short for its features."));
  keys.push_back(path_key("data.train.features", JOB_FIELD(data.train.features), "",
                          "The training file; with idx the one with the images or vectors."));
  keys.push_back(path_key("data.train.labels", JOB_FIELD(data.train.labels), "",
                          "The idx file with the labels of the training rows."));
  keys.push_back(map_or_path("data.test", "The test rows; a plain path is short for its features."));
  keys.push_back(path_key("data.test.features", JOB_FIELD(data.test.features), "",
                          "The test file; with idx the one with the images or vectors."));
  keys.push_back(
      path_key("data.test.labels", JOB_FIELD(data.test.labels), "", "The idx file with the labels of the test rows."));
  keys.push_back(text_key("data.cache", JOB_FIELD(data.cache), "auto",
                          "Where parsed files are kept for the next time, by their content: auto (.dtrain-cache beside "
                          "them), off, or a folder."));
  keys.push_back(number_key("data.holdout", JOB_FIELD(data.holdout), from_to_below(0, 1), "0",
                            "Share of the training rows kept for testing where there is no test file."));
}

void add_bad_row_keys(Keys& keys) {
  keys.push_back(bad_row_key());
  keys.push_back(in_unit(integer_key("data.on_bad_row.skip_max", JOB_FIELD(data.skip_bad_rows), between(0, 1e9), "0",
                                     "Rows that cannot be read and may be left out of a file; the summary counts "
                                     "them."),
                         "rows"));
}

void add_csv_keys(Keys& keys) {
  keys.push_back(map_key("data.csv", "How to read csv files."));
  keys.push_back(delimiter_key());
  keys.push_back(
      boolean_key("data.csv.header", JOB_FIELD(data.csv.header), "true", "Whether the first line names the columns."));
  keys.push_back(text_key("data.csv.target", JOB_FIELD(data.csv.target), "last",
                          "The column to predict: its name, its number from 1, first or last."));
  keys.push_back(text_list_key("data.csv.categorical", JOB_FIELD(data.csv.categorical), "[]",
                               "Columns, by name or number, whose numbers are categories; text columns always are."));
  keys.push_back(
      text_list_key("data.csv.ignore", JOB_FIELD(data.csv.ignore), "[]", "Columns, by name or number, to leave out."));
  keys.push_back(text_list_key("data.csv.missing_values", JOB_FIELD(data.csv.missing_values),
                               "[\"\", NA, NaN, nan, \"?\"]", "Texts that stand for a missing value."));
  keys.push_back(choice_key<Missing>(
      "data.csv.missing", JOB_FIELD(data.csv.missing),
      {{"error", Missing::error}, {"mean", Missing::mean}, {"median", Missing::median}, {"zero", Missing::zero}},
      "error", "What a missing number becomes; a missing category is one of its own."));
  keys.push_back(map_key("data.libsvm", "How to read libsvm files."));
  keys.push_back(integer_key("data.libsvm.features", JOB_FIELD(data.libsvm_features), between(0, 1e8), "0",
                             "Number of features; 0 takes the highest index in the training file."));
}

void add_generate_keys(Keys& keys) {
  keys.push_back(map_key("data.generate", "What to generate; the rows are a function of the seed."));
  keys.push_back(choice_key<Generated>(
      "data.generate.set", JOB_FIELD(data.generate.set),
      {{"digits", Generated::digits}, {"blobs", Generated::blobs}, {"line", Generated::line}}, "digits",
      "digits: drawn figures of 28x28 in ten classes; blobs: a normal cloud a class; line: a number linear in the "
      "features, for regression."));
  keys.push_back(in_unit(integer_key("data.generate.rows", JOB_FIELD(data.generate.rows), between(1, 1e9), "12000",
                                     "Training rows to generate."),
                         "rows"));
  keys.push_back(in_unit(integer_key("data.generate.test_rows", JOB_FIELD(data.generate.test_rows), between(0, 1e9),
                                     "2000", "Test rows to generate."),
                         "rows"));
  keys.push_back(integer_key("data.generate.features", JOB_FIELD(data.generate.features), between(1, 1e6), "20",
                             "Features of blobs and line; digits always have 784."));
  keys.push_back(integer_key("data.generate.classes", JOB_FIELD(data.generate.classes), between(2, 1e6), "2",
                             "Classes of blobs; digits always have 10."));
  keys.push_back(number_key("data.generate.noise", JOB_FIELD(data.generate.noise), at_least(0), "1",
                            "Spread of blobs, deviation of line's target, blur and jitter of digits."));
}

const std::vector<std::pair<std::string, Fit>> fits{
    {"none", Fit::none}, {"standardize", Fit::standardize}, {"min_max", Fit::min_max}};

void add_fit_keys(Keys& keys) {
  keys.push_back(
      map_key("data.normalize", "What is done to numbers before training; fitted on the training rows only."));
  keys.push_back(number_key("data.normalize.scale", JOB_FIELD(data.normalize.scale), above(0), "1",
                            "Every feature is multiplied by it; 1/255 makes bytes lie between 0 and 1."));
  keys.push_back(choice_key<Fit>("data.normalize.features", JOB_FIELD(data.normalize.features), fits, "none",
                                 "standardize: mean 0 and deviation 1 in each column; min_max: from 0 to 1."));
  keys.push_back(choice_key<Fit>("data.normalize.target", JOB_FIELD(data.normalize.target), fits, "none",
                                 "The same for the target of a regression; metrics stay in its own unit."));
}

}  // namespace

void add_data_keys(Keys& keys) {
  keys.push_back(map_key("data", "Where the rows come from and how they are shared out."));
  add_file_keys(keys);
  add_bad_row_keys(keys);
  add_csv_keys(keys);
  add_column_keys(keys);
  add_generate_keys(keys);
  add_fit_keys(keys);
  keys.push_back(
      choice_key<Sharing>("data.sharing", JOB_FIELD(data.sharing),
                          {{"replicate", Sharing::replicate},
                           {"shard", Sharing::shard},
                           {"central", Sharing::central},
                           {"shared_files", Sharing::shared_files},
                           {"peer", Sharing::peer},
                           {"staged", Sharing::staged}},
                          "replicate",
                          "replicate: every worker reads all rows; shard: each has rows of its own; central: "
                          "the coordinator serves them; shared_files: each maps the files and reads its "
                          "part; peer: each holds a shard, and pieces are traded; staged: loader processes "
                          "read and transform."));
  keys.push_back(in_unit(auto_integer_key("data.ahead", JOB_FIELD(data.ahead), between(1, 1e6),
                                          "Batches that are fetched ahead of need where rows come from other "
                                          "processes; auto: an epoch's under peer, 4 otherwise."),
                         "batches"));
  keys.push_back(map_key("data.partition", "How shards are cut."));
  keys.push_back(choice_key<PartitionBy>(
      "data.partition.by", JOB_FIELD(data.partition.by),
      {{"stride", PartitionBy::stride},
       {"contiguous", PartitionBy::contiguous},
       {"hash", PartitionBy::hash},
       {"label", PartitionBy::label},
       {"dirichlet", PartitionBy::dirichlet}},
      "stride",
      "stride: every N-th row; contiguous: N blocks of neighbours; hash: by a hash of the row's number; label: rows in "
      "the order of their classes, in N blocks; dirichlet: each class dealt out by shares of its own."));
  keys.push_back(number_key("data.partition.alpha", JOB_FIELD(data.partition.alpha), above(0), "0.5",
                            "dirichlet: how even the shares of a class are; small numbers give a worker few classes."));
  keys.push_back(boolean_key("data.shuffle", JOB_FIELD(data.shuffle), "true",
                             "Whether each epoch visits the rows in an order of its own."));
}

}  // namespace dtrain::job
