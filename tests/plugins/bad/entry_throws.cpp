// A description that throws, as by a std::vector::at: it is called from the plug-in's entry, while it is loaded.
#include <stdexcept>

#include "backplane/plugin.hpp"

struct Undescribed {
  static void describe(bp::About<Undescribed>&) { throw std::out_of_range("no such summary"); }
  void plan(bp::Plan& plan) const { plan.output(plan.input(0)); }
  template <class T>
  void forward(const bp::Call<T>&) const {}
  template <class T>
  void backward(const bp::Call<T>&) const {}
};

BP_PLUGIN("test.entry_throws", "0.1.0", "MIT", "throws while it is loaded", bp::layers<Undescribed>, bp::activations<>)
