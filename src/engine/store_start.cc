// The part of Store that brings the memtables back from the WAL, before commands run.
#include "engine/store.h"

namespace varve::engine {

void Store::AddTree(int db, std::shared_ptr<Tree> tree) { databases_[db] = std::move(tree); }

Result<void> Store::Replay(uint64_t generation, std::string_view payload) {
  if (generation != generation_ && !active_.members.empty()) Seal();
  generation_ = generation;
  const auto find_tree = [this](TreeId id) -> std::shared_ptr<Tree> {
    for (const auto& tree : databases_) {
      if (tree->id == id) return tree;
    }
    return nullptr;  // flushed away by a later record, and the manifest knows it already
  };
  WriteRecordVisitor visitor;
  visitor.put = [&](TreeId id, Existence existence, const Row& row) -> Result<void> {
    const std::shared_ptr<Tree> tree = find_tree(id);
    if (tree == nullptr) return {};
    const Position position = secret_.Of(row.key);
    TreeMemtable& memtable = ActiveOf(tree);
    (void)Write(*tree, {position, row.key, {}, row.type, false}, WithOwner({row.value, nullptr}));
    if (existence != Existence::kLive) {
      ++tree->key_count;
      ++memtable.key_count_delta;
    }
    if (existence == Existence::kUnknown) StartSettling(tree, tree->active, position, row.key);
    return {};
  };
  visitor.remove = [&](TreeId id, const Row& row) -> Result<void> {
    const std::shared_ptr<Tree> tree = find_tree(id);
    if (tree == nullptr) return {};
    TreeMemtable& memtable = ActiveOf(tree);
    (void)Write(*tree, {secret_.Of(row.key), row.key, {}, ValueType::kString, true}, {});
    --tree->key_count;
    --memtable.key_count_delta;
    return {};
  };
  visitor.new_tree = [&](int db, TreeId id) -> Result<void> {
    if (next_number_ <= id) next_number_ = id + 1;
    // Ids only grow: an older one than the manifest's has had its successor already.
    if (id > databases_[db]->id) ReplaceTree(db, id, generation, 0);
    return {};
  };
  return ParseWriteRecord(payload, visitor);
}

void Store::StartWriting(Wal* wal) {
  if (!active_.members.empty() || !drops_.empty()) Seal();
  wal_ = wal;
  generation_ = wal_->segment_number();
  UpdateBudgets();
  UpdatePacing();
}

}  // namespace varve::engine
