#pragma once
/// Where a network is cut that is spread over several workers (ALGORITHMS.md, section 5).
///
/// Pure: from the declaration and the sizes alone, so that every role finds the same cells.

#include <vector>

#include "job/job.hpp"
#include "model/cell.hpp"

namespace dtrain::plan {

/// Floating-point operations of a row, forward and backward, in each layer; the first needs no input gradient.
std::vector<double> layer_flops(const job::Model& model, Index width);

/// First layer of each stage, and behind the last one the number of layers. Stages that the layers name are taken;
/// otherwise the greatest sum of `costs` in a stage is as small as it can be, and of such cuts the stages are as equal
/// as a choice from below finds. At least `stages` layers.
std::vector<int> cut_stages(const job::Model& model, const std::vector<double>& costs, int stages);

/// Equal shares of `width` for so many ranks, on multiples of 16 where that makes little difference. Every rank has
/// something if there is enough.
std::vector<Index> equal_borders(Index width, int ranks);

/// What cut_layers() is to cut.
struct StageShape {
  int first_layer = 0, end_layer = 0;
  Index rows = 1;       ///< of a micro-batch
  bool sparse = false;  ///< features come without their zeros: the first layer of all is cut by output
};

/// How each layer of a stage is cut over `ranks`. What the job says is taken; the rest is chosen so that the time of a
/// micro-batch, computing and exchanging, is least by a rough model of both. Throws Error(Kind::job) if some rank would
/// have no weight at all, or a layer cannot be cut as the job has it.
std::vector<model::LayerCut> cut_layers(const job::Model& model, Index width, const StageShape& stage, int ranks);

/// Columns that all ranks together send to others in a micro-batch, once each, forward and backward; and how many
/// times they wait for each other.
struct Exchanges {
  Index columns = 0;
  int count = 0;
};
Exchanges exchanges_of(const job::Model& model, Index width, const model::Cell& cell);

/// All cells by stage * tensor + rank. `rows`: of a micro-batch.
std::vector<model::Cell> split_network(const job::Model& model, Index width, const job::Split& split, Index rows,
                                       bool sparse);

/// "output", "input" or "none": how a layer is cut.
const char* form_name(const model::LayerCut& cut);
/// "0 output, 1 input": how the layers of a cell are cut, counted from the first of all.
std::string cut_words(const model::Cell& cell);

}  // namespace dtrain::plan
