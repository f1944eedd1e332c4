# holdfast_add_plugin(NAME SOURCE...): NAME.so, hidden visibility, no "lib"
# prefix, linked to nothing of Holdfast's.  The project's own plugins and those
# of others are built by this same function.
function(holdfast_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} SUFFIX ".so"
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  if(HF_PLUGIN_OUTPUT_DIRECTORY)
    set_target_properties(${name} PROPERTIES
      LIBRARY_OUTPUT_DIRECTORY ${HF_PLUGIN_OUTPUT_DIRECTORY})
  endif()
  target_link_libraries(${name} PRIVATE Holdfast::plugin)
endfunction()
