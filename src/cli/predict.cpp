#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/subject.hpp"
#include "cli/verbs.hpp"
#include "model/metrics.hpp"
#include "report/table.hpp"

namespace dtrain::cli {
namespace {

/// What the model says about one row.
struct Prediction {
  std::size_t chosen = 0;             ///< class
  std::vector<double> probabilities;  ///< in class order; empty for a regression
  double value = 0;                   ///< regression: in the target's original unit
};

Prediction read_row(const store::SavedModel& saved, std::span<const float> outputs) {
  Prediction prediction;
  if (saved.model.loss == job::Loss::mean_squared_error) {
    prediction.value = double(outputs[0]) * saved.encoding.target_scale + saved.encoding.target_shift;
    return prediction;
  }
  // A sigmoid gives the probability of class 1 only.
  if (saved.model.loss == job::Loss::binary_cross_entropy) prediction.probabilities = {1 - double(outputs[0])};
  prediction.probabilities.insert(prediction.probabilities.end(), outputs.begin(), outputs.end());
  const auto& all = prediction.probabilities;
  prediction.chosen = static_cast<std::size_t>(std::max_element(all.begin(), all.end()) - all.begin());
  return prediction;
}

std::string class_name(const data::Encoding& encoding, std::size_t number) {
  return number < encoding.classes.size() ? encoding.classes[number] : fmt::format("{}", number);
}

/// Shortest text that reads back as the same float: the network computed no more digits than that.
std::string digits(double value) { return fmt::format("{}", static_cast<float>(report::without_nan_sign(value))); }

/// One line a row.
class Lines {
 public:
  Lines(const data::Encoding& encoding, bool probabilities) : encoding_(encoding), probabilities_(probabilities) {}
  void add(const Prediction& prediction) {
    text_ += prediction.probabilities.empty() ? digits(prediction.value) : class_name(encoding_, prediction.chosen);
    if (probabilities_)
      for (const double probability : prediction.probabilities) text_ += "\t" + digits(probability);
    text_ += '\n';
  }
  void flush() { print(text_), text_.clear(); }

 private:
  const data::Encoding& encoding_;
  bool probabilities_;
  std::string text_;
};

Json to_json(const data::Encoding& encoding, const std::vector<Prediction>& predictions, bool probabilities) {
  Json out{{"classes", encoding.classes}, {"predictions", Json::array()}};
  for (const Prediction& prediction : predictions) {
    if (prediction.probabilities.empty()) {
      out["predictions"].push_back(prediction.value);
    } else {
      out["predictions"].push_back(class_name(encoding, prediction.chosen));
    }
    if (probabilities) out["probabilities"].push_back(prediction.probabilities);
  }
  return out;
}

/// Calls `use` with each row's prediction, and `piece_done` after every piece of rows.
template <class Use, class PieceDone>
void predict_rows(const Subject& subject, Use use, PieceDone piece_done) {
  show(subject, [&](Matrix outputs, std::span<const float>) {
    model::to_probabilities(subject.saved.model.loss, outputs);
    for (Index row = 0; row < outputs.rows; ++row)
      use(read_row(subject.saved, {outputs.row(row), static_cast<std::size_t>(outputs.cols)}));
    piece_done();
  });
}

}  // namespace

int predict(const Options& options) {
  const Subject subject = load_subject(options, false);
  const data::Encoding& encoding = subject.saved.encoding;
  if (options.probabilities && subject.saved.model.loss == job::Loss::mean_squared_error)
    fail(Kind::usage, "--probabilities is for classes; this model predicts a value");
  if (options.json) {
    std::vector<Prediction> predictions;
    predict_rows(
        subject, [&](Prediction prediction) { predictions.push_back(std::move(prediction)); }, [] {});
    print_json(to_json(encoding, predictions, options.probabilities));
  } else {
    Lines lines(encoding, options.probabilities);
    predict_rows(
        subject, [&](const Prediction& prediction) { lines.add(prediction); }, [&] { lines.flush(); });
  }
  return 0;
}

}  // namespace dtrain::cli
