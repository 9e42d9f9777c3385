#include "model/cell.hpp"

namespace dtrain::model {

Cell whole_cell(const job::Model& model) {
  Cell cell;
  cell.end_layer = static_cast<int>(model.layers.size());
  return cell;
}

}  // namespace dtrain::model
