#include "store/model_file.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/file.hpp"
#include "base/json.hpp"
#include "model/layout.hpp"
#include "store/strict_json.hpp"
#include "store/tensors.hpp"

namespace dtrain::store {
namespace {

constexpr const char* metadata_key = "dtrain";
constexpr int model_version = 1;
/// Bounds on what a file may ask for, far above any network that fits a machine.
constexpr std::int64_t max_width = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t max_layers = 10'000;

template <class Enum>
struct Named {
  Enum value;
  std::string_view name;
};
template <class Enum>
Named(Enum, const char*) -> Named<Enum>;

constexpr std::array activations = {Named{job::Activation::none, "none"},
                                    Named{job::Activation::relu, "relu"},
                                    Named{job::Activation::leaky_relu, "leaky_relu"},
                                    Named{job::Activation::gelu, "gelu"},
                                    Named{job::Activation::tanh, "tanh"},
                                    Named{job::Activation::sigmoid, "sigmoid"},
                                    Named{job::Activation::softplus, "softplus"}};
constexpr std::array inits = {Named{job::Init::automatic, "auto"}, Named{job::Init::he, "he"},
                              Named{job::Init::glorot, "glorot"}, Named{job::Init::uniform, "uniform"},
                              Named{job::Init::zero, "zero"}};
constexpr std::array losses = {Named{job::Loss::softmax_cross_entropy, "softmax_cross_entropy"},
                               Named{job::Loss::binary_cross_entropy, "binary_cross_entropy"},
                               Named{job::Loss::mean_squared_error, "mean_squared_error"}};

template <class Enum, std::size_t N>
std::string name_of(const std::array<Named<Enum>, N>& names, Enum value) {
  for (const auto& entry : names)
    if (entry.value == value) return std::string(entry.name);
  throw Error(Kind::internal, "a choice without a name cannot be saved");
}

const Json& field(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key))
    throw std::runtime_error(fmt::format("the model's description lacks \"{}\"", key));
  return object[key];
}

template <class Enum, std::size_t N>
Enum choice(const std::array<Named<Enum>, N>& names, const Json& object, const char* key) {
  const Json& text = field(object, key);
  for (const auto& entry : names)
    if (text.is_string() && text.get_ref<const std::string&>() == entry.name) return entry.value;
  throw std::runtime_error(fmt::format("\"{}\" of the model's description is not known", key));
}

double number(const Json& object, const char* key, double low, double high) {
  const Json& value = field(object, key);
  if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high))
    throw std::runtime_error(fmt::format("\"{}\" of the model's description is out of range", key));
  return value.get<double>();
}

Json layer_to_json(const job::Layer& layer) {
  return {{"dense", layer.dense},
          {"activation", name_of(activations, layer.activation)},
          {"slope", layer.slope},
          {"dropout", layer.dropout},
          {"init", name_of(inits, layer.init)},
          {"bias", layer.bias}};
}

job::Layer layer_from_json(const Json& json) {
  job::Layer layer;
  const Json& dense = field(json, "dense");
  if (!dense.is_number_unsigned() || dense.get<std::uint64_t>() < 1 || dense.get<std::uint64_t>() > max_width)
    throw std::runtime_error("\"dense\" of the model's description is out of range");
  layer.dense = dense.get<std::int64_t>();
  layer.activation = choice(activations, json, "activation");
  layer.slope = number(json, "slope", std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max());
  layer.dropout = number(json, "dropout", 0, std::nextafter(1.0, 0.0));
  layer.init = choice(inits, json, "init");
  const Json& bias = field(json, "bias");
  if (!bias.is_boolean()) throw std::runtime_error("\"bias\" of the model's description is neither true nor false");
  layer.bias = bias.get<bool>();
  return layer;
}

job::Model model_from_json(const Json& json) {
  job::Model model;
  const Json& layers = field(json, "layers");
  if (!layers.is_array() || layers.empty() || layers.size() > max_layers)
    throw std::runtime_error("the model's description has no list of layers, or too long a one");
  for (const Json& layer : layers) model.layers.push_back(layer_from_json(layer));
  model.loss = choice(losses, json, "loss");
  return model;
}

std::string describe_model(const job::Model& model, const data::Encoding& encoding) {
  Json layers = Json::array();
  for (const job::Layer& layer : model.layers) layers.push_back(layer_to_json(layer));
  const Json all = {{"version", model_version},
                    {"model", {{"layers", layers}, {"loss", name_of(losses, model.loss)}}},
                    {"encoding", encoding.to_json()}};
  return all.dump();
}

/// Before a layout is made of sizes from a file: their products and sum must fit, and be what the file holds.
void check_count(const job::Model& model, Index width, std::size_t held) {
  if (width < 1 || width > max_width) throw std::runtime_error("the number of features is out of range");
  std::uint64_t needed = 0;
  std::uint64_t in = static_cast<std::uint64_t>(width);
  for (const job::Layer& layer : model.layers) {
    const auto out = static_cast<std::uint64_t>(layer.dense);
    needed += in * out + (layer.bias ? out : 0);  // each below 2^62, and the sum is checked every time
    if (needed > held) break;
    in = out;
  }
  if (needed != held) throw std::runtime_error("its tensors do not hold as many weights as the model has");
}

std::vector<Index> torch_shape(const model::Tensor& tensor) {
  return tensor.is_bias ? std::vector<Index>{tensor.cols} : std::vector<Index>{tensor.cols, tensor.rows};
}

/// to[c * rows + r] = from[r * cols + c]
void transpose(const float* from, Index rows, Index cols, float* to) {
  constexpr Index tile = 32;  // both sides of a tile stay in the first cache
  for (Index r0 = 0; r0 < rows; r0 += tile)
    for (Index c0 = 0; c0 < cols; c0 += tile)
      for (Index r = r0; r < std::min(r0 + tile, rows); ++r)
        for (Index c = c0; c < std::min(c0 + tile, cols); ++c) to[c * rows + r] = from[r * cols + c];
}

Arena take_weights(const TensorFile& file, const model::Layout& layout) {
  if (file.tensors.size() != layout.tensors.size())
    throw std::runtime_error("it holds other tensors than the model has");
  Arena weights(layout.total);
  for (const model::Tensor& tensor : layout.tensors) {
    const TensorFile::Entry* entry = file.find(tensor.name);
    if (entry == nullptr) throw std::runtime_error("tensor " + tensor.name + " is missing");
    if (entry->shape != torch_shape(tensor))
      throw std::runtime_error(fmt::format("tensor {} is [{}], not [{}]", tensor.name, fmt::join(entry->shape, ", "),
                                           fmt::join(torch_shape(tensor), ", ")));
    // [out, in] -> [in, out]; a bias is one row either way.
    transpose(entry->values.data(), tensor.cols, tensor.rows, weights.data() + tensor.offset);
  }
  return weights;
}

SavedModel decode(const TensorFile& file) {
  const auto description = file.metadata.find(metadata_key);
  if (description == file.metadata.end())
    throw std::runtime_error("was not written by dtrain: its metadata lacks the key \"dtrain\"");
  const Json all = parse_strict<Json>(description->second, {});
  if (field(all, "version") != model_version) throw std::runtime_error("was written by another version of dtrain");
  SavedModel saved;
  saved.model = model_from_json(field(all, "model"));
  saved.encoding = data::Encoding::from_json(field(all, "encoding"));
  check_count(saved.model, saved.encoding.width, file.storage.size());
  saved.weights = take_weights(file, model::make_layout(saved.model, saved.encoding.width));
  return saved;
}

}  // namespace

void save_model(const fs::path& path, const job::Model& model, const data::Encoding& encoding,
                std::span<const float> weights) {
  const model::Layout layout = model::make_layout(model, encoding.width);
  std::vector<float> transposed(weights.size());
  std::vector<NamedTensor> tensors;
  for (const model::Tensor& tensor : layout.tensors) {
    float* to = transposed.data() + tensor.offset;
    transpose(weights.data() + tensor.offset, tensor.rows, tensor.cols, to);
    tensors.push_back({tensor.name, torch_shape(tensor), {to, static_cast<std::size_t>(tensor.count())}});
  }
  // "format" tells the loaders of the PyTorch world whose names and shapes these are.
  replace_file(path, encode_tensors(tensors, {{"format", "pt"}, {metadata_key, describe_model(model, encoding)}}));
}

SavedModel load_model(const fs::path& path) { return decode_model(read_file(path, Kind::checkpoint), path.string()); }

SavedModel decode_model(std::string_view bytes, const std::string& path) {
  const TensorFile file = decode_tensors(bytes, path, Kind::checkpoint);
  try {
    return decode(file);
  } catch (const std::runtime_error& error) {
    throw Error(Kind::checkpoint, fmt::format("{}: {}", path, error.what()));
  } catch (Error& error) {
    throw std::move(error.during("reading " + path));
  }
}

}  // namespace dtrain::store
