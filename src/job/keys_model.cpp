#include "job/fields.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

void add_layer_keys(Keys& keys) {
  Key dense = integer_key("model.layers[].dense", LAYER_FIELD(dense), between(1, 1e6), "",
                          "Outputs of a dense layer; each is a weighted sum of all its inputs.");
  keys.push_back(in_unit(required_key(std::move(dense), "dense: 10"), "outputs"));
  keys.push_back(choice_key<Activation>("model.layers[].activation", LAYER_FIELD(activation),
                                        {{"none", Activation::none},
                                         {"relu", Activation::relu},
                                         {"leaky_relu", Activation::leaky_relu},
                                         {"gelu", Activation::gelu},
                                         {"tanh", Activation::tanh},
                                         {"sigmoid", Activation::sigmoid},
                                         {"softplus", Activation::softplus}},
                                        "none",
                                        "Function applied to each output; the last layer before a "
                                        "cross-entropy loss has none, for the loss contains it."));
  keys.push_back(
      number_key("model.layers[].slope", LAYER_FIELD(slope), between(0, 1), "0.01", "Slope of leaky_relu below 0."));
  keys.push_back(number_key("model.layers[].dropout", LAYER_FIELD(dropout), from_to_below(0, 1), "0",
                            "Probability with which an output is zeroed in training."));
  keys.push_back(choice_key<Init>("model.layers[].init", LAYER_FIELD(init),
                                  {{"auto", Init::automatic},
                                   {"he", Init::he},
                                   {"glorot", Init::glorot},
                                   {"uniform", Init::uniform},
                                   {"zero", Init::zero}},
                                  "auto",
                                  "Distribution of the first weights; auto is he before relu, leaky_relu, gelu "
                                  "and softplus, and glorot otherwise."));
  keys.push_back(boolean_key("model.layers[].bias", LAYER_FIELD(bias), "true",
                             "Whether a learned constant is added to each output."));
  keys.push_back(auto_integer_key("model.layers[].stage", LAYER_FIELD(stage), between(1, 1000),
                                  "Stage of the pipeline that has the layer, from 1, under topology.split.pipeline; "
                                  "auto makes the stages' work as equal as it can be. All layers name one, or none."));
  keys.push_back(choice_key<LayerSplit>("model.layers[].split", LAYER_FIELD(split),
                                        {{"auto", LayerSplit::automatic},
                                         {"output", LayerSplit::output},
                                         {"input", LayerSplit::input},
                                         {"none", LayerSplit::none}},
                                        "auto",
                                        "How the layer's weights are cut under topology.split.tensor: each worker has "
                                        "some of the outputs, or some of the inputs, or the first has all; auto is "
                                        "what takes least time by the sizes, an output cut and an input cut in turn "
                                        "where layers are wide."));
}

}  // namespace

void add_model_keys(Keys& keys) {
  keys.push_back(text_key("name", JOB_FIELD(name), "",
                          "What the run is called in folders and reports; the job file's name if empty."));
  keys.push_back(seed_key("seed", JOB_FIELD(seed), "1",
                          "Names the random draws of the whole run: the same seed gives the same run."));
  keys.push_back(map_key("model", "The network and what it minimises."));
  keys.back().info.default_text = "(required)";
  keys.push_back(map_list_key("model.layers", LIST_FIELD(model.layers), true, "[{dense: 10}]",
                              "The layers, from the input to the output."));
  add_layer_keys(keys);
  keys.push_back(choice_key<Loss>("model.loss", JOB_FIELD(model.loss),
                                  {{"softmax_cross_entropy", Loss::softmax_cross_entropy},
                                   {"binary_cross_entropy", Loss::binary_cross_entropy},
                                   {"mean_squared_error", Loss::mean_squared_error}},
                                  "softmax_cross_entropy",
                                  "What is minimised: classes want softmax_cross_entropy, a yes or no "
                                  "binary_cross_entropy, a number mean_squared_error."));
}

}  // namespace dtrain::job
