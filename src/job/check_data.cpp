/// Rules on the network and on the rows that feed it.

#include "job/check.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

std::string layer_path(std::size_t layer, const char* key) { return fmt::format("model.layers[{}].{}", layer, key); }

void check_last_layer(Rules& rules, std::size_t last) {
  const Model& model = rules.job.model;
  const Layer& layer = model.layers[last];
  const std::string dense = layer_path(last, "dense"), activation = layer_path(last, "activation");
  if (!rules.sound({"model.loss", dense})) return;
  const bool softmax = model.loss == Loss::softmax_cross_entropy;
  if (softmax && layer.dense < 2)
    rules.error({dense},
                "softmax_cross_entropy needs an output for each class, got 1; "
                "for a yes or no use binary_cross_entropy");
  if (!softmax && layer.dense != 1)
    rules.error({dense}, "{} needs a last layer of 1 output, got {}",
                model.loss == Loss::binary_cross_entropy ? "binary_cross_entropy" : "mean_squared_error", layer.dense);
  if (model.loss != Loss::mean_squared_error && layer.activation != Activation::none)
    rules.error({activation}, "the last layer must have no activation: the loss expects logits and applies its own");
  if (layer.dropout > 0)
    rules.warning({layer_path(last, "dropout")}, "dropout on the last layer zeroes predictions in training");
}

/// Outputs that the generated set asks for, where it does.
void check_generated_classes(Rules& rules, std::size_t last) {
  const Generate& generate = rules.job.data.generate;
  const Loss loss = rules.job.model.loss;
  const std::string dense = layer_path(last, "dense");
  if (!rules.sound({dense, "model.loss", "data.format", "data.generate.set", "data.generate.classes"})) return;
  if (generate.set == Generated::line) {
    if (loss != Loss::mean_squared_error)
      rules.error({"model.loss", "data.generate.set"},
                  "the generated line has numbers to predict: "
                  "use mean_squared_error");
    return;
  }
  const bool digits = generate.set == Generated::digits;
  const std::int64_t classes = digits ? 10 : generate.classes;
  const char* what = digits ? "digits" : "blobs";
  const std::int64_t outputs = rules.job.model.layers[last].dense;
  if (loss == Loss::softmax_cross_entropy && outputs >= 2 && outputs != classes)
    rules.error({dense}, "the last layer has {} outputs, but the generated {} have {} classes", outputs, what, classes);
  if (loss == Loss::binary_cross_entropy && classes != 2)
    rules.error({"model.loss"}, "binary_cross_entropy tells 2 classes apart, but the generated {} have {}", what,
                classes);
}

void check_generate(Rules& rules) {
  const Data& data = rules.job.data;
  for (const std::string path : {"data.train", "data.test"})
    if (rules.changed(path + ".features") || rules.changed(path + ".labels"))
      rules.error({path}, "{} is not read with data.format generated; name the format of the files", path);
  if (data.holdout > 0 && data.generate.test_rows > 0)
    rules.error({"data.holdout"}, "data.holdout and data.generate.test_rows exclude each other; set one of them to 0");
  if (data.generate.set == Generated::digits) rules.idle("data.generate.features", "digits always have 784");
  if (data.generate.set != Generated::blobs)
    rules.idle("data.generate.classes",
               data.generate.set == Generated::digits ? "digits always have 10" : "a line has none");
}

/// Why keys that say how files are read do nothing.
constexpr const char* converted = "it was settled when the rows were converted";

void check_files(Rules& rules) {
  const Data& data = rules.job.data;
  const bool apart = data.format == Format::idx || data.format == Format::npy;
  Job job = rules.job;
  const std::string format = find("data.format")->get(job, 0);
  if (data.train.features.empty())
    rules.error({"data.train.features", "data.train", "data.format"},
                "data.format {} needs data.train.features, "
                "the training file",
                format);
  if (apart && data.train.labels.empty())
    rules.error({"data.train.labels", "data.train", "data.format"}, "data.format {} needs data.train.labels", format);
  if (apart && data.test.features.empty() != data.test.labels.empty())
    rules.error({"data.test"}, "data.test needs both features and labels with data.format {}", format);
  const bool parsed = data.format == Format::csv || data.format == Format::tsv || data.format == Format::libsvm;
  if (data.sharing == Sharing::shared_files && data.cache == "off" && parsed)
    rules.error({"data.cache", "data.sharing"},
                "data.sharing shared_files maps what one process has parsed: {} needs data.cache auto or a folder, or "
                "convert the files (dtrain data convert)",
                format);
  if (!apart) {
    for (const std::string path : {"data.train.labels", "data.test.labels"})
      if (data.format == Format::mapped)
        rules.idle(path, converted);
      else if (rules.changed(path))
        rules.error({path}, "{} is for idx and npy only: {} files hold their labels", path, format);
  }
  if (data.holdout > 0 && !data.test.features.empty())
    rules.error({"data.holdout"}, "data.holdout and data.test exclude each other; leave one of them out");
}

/// Changed keys under a section that belongs to another format.
void check_foreign(Rules& rules, const std::string& section, Format format, const char* name) {
  if (rules.job.data.format == format) return;
  for (const std::string& child : children_of(section)) {
    const std::string path = section + "." + child;
    if (rules.job.data.format == Format::mapped && section != "data.generate") {
      if (child != "missing") rules.idle(path, converted);  // that is fitted, not parsed
      continue;
    }
    if (rules.changed(path)) rules.error({path}, "{} is only read with data.format {}", path, name);
  }
}

}  // namespace

bool has_test_part(const Data& data) {
  if (data.holdout > 0) return true;
  return data.format == Format::generated ? data.generate.test_rows > 0 : !data.test.features.empty();
}

void check_model(Rules& rules) {
  const std::vector<Layer>& layers = rules.job.model.layers;
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layers[i].activation != Activation::leaky_relu && rules.sound({layer_path(i, "activation")}))
      rules.idle(layer_path(i, "slope"), "only leaky_relu has a slope");
  if (layers.empty()) return;
  check_last_layer(rules, layers.size() - 1);
  if (rules.job.data.format == Format::generated) check_generated_classes(rules, layers.size() - 1);
}

void check_data(Rules& rules) {
  const Data& data = rules.job.data;
  if (!rules.sound({"data.format"})) return;
  if (data.format == Format::generated) {
    check_generate(rules);
  } else {
    check_files(rules);
  }
  if (data.format != Format::tsv) check_foreign(rules, "data.csv", Format::csv, "csv");
  check_foreign(rules, "data.libsvm", Format::libsvm, "libsvm");
  check_foreign(rules, "data.generate", Format::generated, "generated");
  check_columns(rules);
  const bool regression = rules.job.model.loss == Loss::mean_squared_error;
  if (data.normalize.target != Fit::none && !regression)
    rules.error({"data.normalize.target", "model.loss"},
                "data.normalize.target is for numbers: with this loss the "
                "target is a class");
  const bool by_class = data.partition.by == PartitionBy::label || data.partition.by == PartitionBy::dirichlet;
  if (by_class && data.sharing == Sharing::shard && regression)
    rules.error({"data.partition.by", "model.loss"},
                "data.partition.by label and dirichlet cut by classes: with this loss the target is a number");
  if (data.sharing != Sharing::shard)
    rules.idle("data.partition.by", "only data.sharing shard cuts the rows into parts");
  if (data.partition.by != PartitionBy::dirichlet)
    rules.idle("data.partition.alpha", "only data.partition.by dirichlet has shares to draw");
  const bool fetched =
      data.sharing == Sharing::central || data.sharing == Sharing::peer || data.sharing == Sharing::staged;
  const Topology& topology = rules.job.topology;
  if (fetched && topology.workers == 1 && topology.external == 0 && topology.servers.value_or(0) == 0)
    rules.idle("data.sharing", "a worker without a server is one process, which reads for itself");
  if (!fetched) rules.idle("data.ahead", "only central, peer and staged rows are fetched");
  if (data.sharing != Sharing::staged)
    rules.idle("topology.loaders", "only data.sharing staged has processes that load");
}

}  // namespace dtrain::job
